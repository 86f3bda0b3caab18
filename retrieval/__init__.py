"""Finding candidates: collaborative filtering, semantic, lexical and hybrid search, the attribute graph, fusion."""
