-- How many orders stand where, and what they are worth.
DROP VIEW IF EXISTS order_status_overview;
CREATE VIEW order_status_overview AS
SELECT status, currency, COUNT(*) AS orders, ROUND(SUM(total), 2) AS total
FROM orders
GROUP BY status, currency;
