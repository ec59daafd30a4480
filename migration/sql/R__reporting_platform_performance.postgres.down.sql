DROP MATERIALIZED VIEW IF EXISTS reporting_platform_performance;
