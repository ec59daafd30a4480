DROP MATERIALIZED VIEW IF EXISTS reporting_executive_metrics;
