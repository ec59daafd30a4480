DROP VIEW IF EXISTS customer_retention;
