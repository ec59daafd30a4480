DROP VIEW IF EXISTS platform_performance;
