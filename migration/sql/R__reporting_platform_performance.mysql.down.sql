DROP TABLE IF EXISTS reporting_platform_performance;
