"""The charts of the pages, a module a kind; none of them imports Streamlit, so each can be looked at by itself."""
