DROP MATERIALIZED VIEW IF EXISTS reporting_supplier_performance;
