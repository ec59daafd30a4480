-- Where the goods go.
-- fleet: view=reporting_customer_geography group=weekly
DROP TABLE IF EXISTS reporting_customer_geography;
CREATE TABLE reporting_customer_geography (
    country varchar(100) NOT NULL,
    city varchar(100) NOT NULL,
    currency char(3) NOT NULL,
    orders bigint,
    customers bigint,
    revenue decimal(18, 2),
    average_order_value decimal(18, 2),
    PRIMARY KEY (country, city, currency)
);
-- fleet: refresh
DELETE FROM reporting_customer_geography;
INSERT INTO reporting_customer_geography (
    country, city, currency, orders, customers, revenue, average_order_value
)
SELECT
    country,
    city,
    currency,
    COUNT(*) AS orders,
    COUNT(DISTINCT customer_id) AS customers,
    ROUND(SUM(revenue), 2) AS revenue,
    ROUND(1.000000 * SUM(revenue) / NULLIF(COUNT(*), 0) + 0.0000001, 2) AS average_order_value
FROM sales
GROUP BY country, city, currency;
