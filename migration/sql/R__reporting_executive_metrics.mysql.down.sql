DROP TABLE IF EXISTS reporting_executive_metrics;
