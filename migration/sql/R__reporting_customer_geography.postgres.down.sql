DROP MATERIALIZED VIEW IF EXISTS reporting_customer_geography;
