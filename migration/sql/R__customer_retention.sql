-- How many customers came how often.
DROP VIEW IF EXISTS customer_retention;
CREATE VIEW customer_retention AS
SELECT t.orders, COUNT(*) AS customers
FROM (SELECT customer_id, COUNT(*) AS orders FROM sales WHERE customer_id IS NOT NULL GROUP BY customer_id) t
GROUP BY t.orders;
