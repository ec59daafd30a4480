DROP VIEW IF EXISTS daily_revenue;
