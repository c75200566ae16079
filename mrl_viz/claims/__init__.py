"""What was claimed for Matryoshka embeddings, and what was measured here."""

from mrl_viz.claims.claim import Claim as Claim
from mrl_viz.claims.claim import ClaimsTable as ClaimsTable
from mrl_viz.claims.claim import Finding as Finding
from mrl_viz.claims.claim import Part as Part
from mrl_viz.claims.claim import Record as Record
from mrl_viz.claims.claim import read_claims as read_claims
from mrl_viz.claims.claim import shipped_table as shipped_table
