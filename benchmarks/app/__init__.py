"""How soon the pages of the dashboard are drawn, beside bare Streamlit pages with as many charts."""
