DROP VIEW IF EXISTS inventory_value;
