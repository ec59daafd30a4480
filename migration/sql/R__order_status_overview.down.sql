DROP VIEW IF EXISTS order_status_overview;
