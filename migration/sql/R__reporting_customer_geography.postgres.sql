-- Where the goods go.
-- fleet: view=reporting_customer_geography group=weekly
DROP MATERIALIZED VIEW IF EXISTS reporting_customer_geography;
CREATE MATERIALIZED VIEW reporting_customer_geography AS
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
-- So that it can be refreshed while it is read.
CREATE UNIQUE INDEX uq_reporting_customer_geography ON reporting_customer_geography (country, city, currency);
