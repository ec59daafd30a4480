-- What each customer has bought so far.
-- fleet: view=customer_lifetime_value group=daily
DROP TABLE IF EXISTS customer_lifetime_value;
CREATE TABLE customer_lifetime_value (
    customer_id uuid_text NOT NULL,
    currency char(3) NOT NULL,
    full_name varchar(200),
    orders bigint,
    revenue decimal(18, 2),
    profit decimal(18, 2),
    average_order_value decimal(18, 2),
    first_sold_on date,
    last_sold_on date,
    PRIMARY KEY (customer_id, currency)
);
-- fleet: refresh
DELETE FROM customer_lifetime_value;
INSERT INTO customer_lifetime_value (
    customer_id, currency, full_name, orders, revenue, profit, average_order_value, first_sold_on,
    last_sold_on
)
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
