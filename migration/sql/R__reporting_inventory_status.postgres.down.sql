DROP MATERIALIZED VIEW IF EXISTS reporting_inventory_status;
