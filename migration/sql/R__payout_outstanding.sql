-- Sales that the platform has not paid out, and what is to come.
DROP VIEW IF EXISTS payout_outstanding;
CREATE VIEW payout_outstanding AS
SELECT s.platform, s.currency, COUNT(*) AS orders, ROUND(SUM(s.revenue - s.fees), 2) AS expected, MIN(s.sold_on) AS oldest
FROM sales s
JOIN orders o ON o.id = s.order_id
WHERE NOT o.payout_received
GROUP BY s.platform, s.currency;
