DROP MATERIALIZED VIEW IF EXISTS reporting_product_performance;
