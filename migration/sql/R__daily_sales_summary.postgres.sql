-- What was sold each day on each platform.
-- fleet: view=daily_sales_summary group=hourly
DROP MATERIALIZED VIEW IF EXISTS daily_sales_summary;
CREATE MATERIALIZED VIEW daily_sales_summary AS
SELECT
    sold_on,
    platform,
    currency,
    COUNT(*) AS orders,
    COUNT(DISTINCT customer_id) AS customers,
    ROUND(SUM(revenue), 2) AS revenue,
    ROUND(SUM(fees), 2) AS fees,
    ROUND(SUM(profit), 2) AS profit,
    ROUND(1.000000 * SUM(revenue) / NULLIF(COUNT(*), 0) + 0.0000001, 2) AS average_order_value
FROM sales
GROUP BY sold_on, platform, currency;
-- So that it can be refreshed while it is read.
CREATE UNIQUE INDEX uq_daily_sales_summary ON daily_sales_summary (sold_on, platform, currency);
