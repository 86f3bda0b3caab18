"""Names of columns, files and event types of the dataset format: the only place where they are spelt."""

from __future__ import annotations

from typing import Final

ITEM: Final = "item_id"
USER: Final = "user_id"
TITLE: Final = "title"
DESCRIPTION: Final = "description"
ATTRIBUTES: Final = "attributes"
ATTRIBUTE_IDS: Final = "attribute_ids"
BRAND: Final = "brand"
PRICE: Final = "price"
YEAR: Final = "year"
AVAILABLE: Final = "available"
TIMESTAMP: Final = "timestamp"
RATING: Final = "rating"
LABEL: Final = "label"
EVENT: Final = "event"
SPLIT: Final = "split"
FRIENDS: Final = "friends"
LIKED_ATTRIBUTES: Final = "liked_attributes"
QUERY: Final = "query"
GRADE: Final = "grade"
TEXT: Final = "text"

ITEMS_FILE: Final = "items"
INTERACTIONS_FILE: Final = "interactions"
USERS_FILE: Final = "users"
JUDGMENTS_FILE: Final = "judgments"
QUERIES_FILE: Final = "queries"
REVIEWS_FILE: Final = "reviews"

TRAIN: Final = "train"
VALID: Final = "valid"
TEST: Final = "test"

VIEW: Final = "view"
LIKE: Final = "like"
ADD: Final = "add"
BUY: Final = "buy"
DISMISS: Final = "dismiss"
EVENTS: Final = (VIEW, LIKE, ADD, BUY, DISMISS)
"""Known event types. All but `dismiss` count as positive interactions."""
POSITIVE_RATING: Final = 3.0
"""Ratings above this count as positive."""
