-- What each customer has bought so far.
-- fleet: view=customer_lifetime_value group=daily
DROP MATERIALIZED VIEW IF EXISTS customer_lifetime_value;
CREATE MATERIALIZED VIEW customer_lifetime_value AS
SELECT
    s.customer_id,
    s.currency,
    c.full_name AS full_name,
    COUNT(*) AS orders,
    ROUND(SUM(s.revenue), 2) AS revenue,
    ROUND(SUM(s.profit), 2) AS profit,
    ROUND(1.000000 * SUM(s.revenue) / NULLIF(COUNT(*), 0) + 0.0000001, 2) AS average_order_value,
    MIN(s.sold_on) AS first_sold_on,
    MAX(s.sold_on) AS last_sold_on
FROM sales s
JOIN customers c ON c.id = s.customer_id
GROUP BY s.customer_id, s.currency, c.full_name;
-- So that it can be refreshed while it is read.
CREATE UNIQUE INDEX uq_customer_lifetime_value ON customer_lifetime_value (customer_id, currency);
