DROP MATERIALIZED VIEW IF EXISTS reporting_brand_analytics;
