-- What was sold each day on each platform.
-- fleet: view=daily_sales_summary group=hourly
DROP TABLE IF EXISTS daily_sales_summary;
CREATE TABLE daily_sales_summary (
    sold_on date NOT NULL,
    platform varchar(40) NOT NULL,
    currency char(3) NOT NULL,
    orders bigint,
    customers bigint,
    revenue decimal(18, 2),
    fees decimal(18, 2),
    profit decimal(18, 2),
    average_order_value decimal(18, 2),
    PRIMARY KEY (sold_on, platform, currency)
);
-- fleet: refresh
DELETE FROM daily_sales_summary;
INSERT INTO daily_sales_summary (
    sold_on, platform, currency, orders, customers, revenue, fees, profit, average_order_value
)
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
