"""Search at every width: exact, shortlist + rerank, funnel, quantised, approximate, and what each costs."""
