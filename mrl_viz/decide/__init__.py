"""Choose a dimension: plans measured once, the smallest whose lower bound meets a target, and the record of it."""

from mrl_viz.decide.bounds import sequential_lower_bounds, simultaneous_lower_bounds
from mrl_viz.decide.candidates import Candidate, Candidates, candidate_plans, measure_candidates
from mrl_viz.decide.choose import choose, recommend
from mrl_viz.decide.corpus_size import CorpusSizeEffect, corpus_size_effect
from mrl_viz.decide.history import MonitorHistory, read_history
from mrl_viz.decide.recommendation import PlanEvidence, Recommendation, Sensitivity
from mrl_viz.decide.record import DecisionRecord, changed_since, decision_record, plan_from_record, plan_from_text
from mrl_viz.decide.storage import DeploymentStorage, deployment_storage
from mrl_viz.decide.threshold import MeasuredThreshold, measured_threshold, plan_thresholds
from mrl_viz.decide.trade_offs import TradeOff, trade_offs

__all__ = [
    "Candidate",
    "Candidates",
    "CorpusSizeEffect",
    "DecisionRecord",
    "DeploymentStorage",
    "MeasuredThreshold",
    "MonitorHistory",
    "PlanEvidence",
    "Recommendation",
    "Sensitivity",
    "TradeOff",
    "candidate_plans",
    "changed_since",
    "choose",
    "corpus_size_effect",
    "decision_record",
    "deployment_storage",
    "measure_candidates",
    "measured_threshold",
    "plan_from_record",
    "plan_from_text",
    "plan_thresholds",
    "read_history",
    "recommend",
    "sequential_lower_bounds",
    "simultaneous_lower_bounds",
    "trade_offs",
]
