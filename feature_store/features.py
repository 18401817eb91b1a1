"""THE declaration: every windowed feature, said once.

An entry names its entity, the events it reads, an aggregate and its windows. Flink SQL, the Spark
recount, the Python reference, the stores and the ranker's columns all follow from it. Point
`MILLRACE_FEATURES` at your own module with a `FEATURES` tuple to replace it.
"""

from __future__ import annotations

from feature_store.aggregates import Count, Distinct, Sum
from feature_store.declaration import Entity, Feature
from feature_store.tiles import (
    DAY_1,
    DAYS_7,
    DAYS_28,
    DECAYED,
    HOUR_1,
    LIFETIME,
    MINUTES_5,
)

USER, ITEM = Entity.USER, Entity.ITEM
ENGAGING = ("view", "click", "add_to_cart", "purchase", "like", "dislike", "rating", "remove")

FEATURES = (
    # What a person does: the tempo of now, and the habit of weeks.
    Feature("views", USER, ("view",), Count(), (HOUR_1, DAY_1, DAYS_7)),
    Feature("clicks", USER, ("click",), Count(), (HOUR_1, DAY_1, DAYS_7)),
    Feature("carts", USER, ("add_to_cart",), Count(), (HOUR_1, DAY_1, DAYS_7)),
    Feature("removes", USER, ("remove",), Count(), (HOUR_1, DAYS_7)),
    Feature("searches", USER, ("search",), Count(), (HOUR_1, DAYS_7)),
    Feature("likes", USER, ("like",), Count(), (DAYS_28,)),
    Feature("dislikes", USER, ("dislike",), Count(), (DAYS_28,)),
    Feature("purchases", USER, ("purchase",), Count(), (DAY_1, DAYS_7, DAYS_28, LIFETIME)),
    Feature("units", USER, ("purchase",), Sum("quantity"), (DAYS_28,)),
    Feature("spend_minor", USER, ("purchase",), Sum("amount_minor"), (DAYS_7, DAYS_28, LIFETIME)),
    Feature("engagement", USER, ENGAGING, Sum("weight"), (MINUTES_5, DAYS_7)),
    # What becomes of an item: seen, wanted, taken, refused, and by how many.
    Feature("views", ITEM, ("view",), Count(), (HOUR_1, DAY_1, DAYS_7, DAYS_28)),
    Feature("clicks", ITEM, ("click",), Count(), (HOUR_1, DAY_1, DAYS_7)),
    Feature("carts", ITEM, ("add_to_cart",), Count(), (DAY_1, DAYS_7, DAYS_28)),
    Feature("removes", ITEM, ("remove",), Count(), (DAYS_28,)),
    Feature("likes", ITEM, ("like",), Count(), (DAYS_28,)),
    Feature("dislikes", ITEM, ("dislike",), Count(), (DAYS_28,)),
    Feature("purchases", ITEM, ("purchase",), Count(), (DAY_1, DAYS_7, DAYS_28, LIFETIME)),
    Feature("units", ITEM, ("purchase",), Sum("quantity"), (DAYS_28,)),
    Feature("spend_minor", ITEM, ("purchase",), Sum("amount_minor"), (DAYS_7, DAYS_28)),
    Feature("engagement", ITEM, ENGAGING, Sum("weight"), (MINUTES_5, HOUR_1, DAY_1, DECAYED)),
    Feature("actors", ITEM, ENGAGING, Distinct("actor"), (DAYS_7, DAYS_28)),
)
