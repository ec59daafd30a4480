DROP VIEW IF EXISTS brand_monthly_performance;
