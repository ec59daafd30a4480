DROP MATERIALIZED VIEW IF EXISTS customer_lifetime_value;
