"""The dashboard: Streamlit and Plotly over the ten metrics. It reads the warehouse and writes nothing."""
