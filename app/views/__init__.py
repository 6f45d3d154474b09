"""The pages of the dashboard, one file each, declared in `app/dashboard.py`."""
