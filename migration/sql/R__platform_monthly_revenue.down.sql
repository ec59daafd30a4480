DROP VIEW IF EXISTS platform_monthly_revenue;
