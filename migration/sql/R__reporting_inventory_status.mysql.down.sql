DROP TABLE IF EXISTS reporting_inventory_status;
