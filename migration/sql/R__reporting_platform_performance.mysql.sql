-- Each platform: what it brings, what it keeps, what it has not paid out.
-- fleet: view=reporting_platform_performance group=hourly
DROP TABLE IF EXISTS reporting_platform_performance;
CREATE TABLE reporting_platform_performance (
    platform varchar(40) NOT NULL,
    currency char(3) NOT NULL,
    orders bigint,
    customers bigint,
    revenue decimal(18, 2),
    fees decimal(18, 2),
    profit decimal(18, 2),
    fee_percent decimal(14, 2),
    average_order_value decimal(18, 2),
    payouts_outstanding bigint,
    last_sold_on date,
    PRIMARY KEY (platform, currency)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- fleet: refresh
DELETE FROM reporting_platform_performance;
INSERT INTO reporting_platform_performance (
    platform, currency, orders, customers, revenue, fees, profit, fee_percent, average_order_value,
    payouts_outstanding, last_sold_on
)
SELECT
    s.platform,
    s.currency,
    COUNT(*) AS orders,
    COUNT(DISTINCT s.customer_id) AS customers,
    ROUND(SUM(s.revenue), 2) AS revenue,
    ROUND(SUM(s.fees), 2) AS fees,
    ROUND(SUM(s.profit), 2) AS profit,
    ROUND(100.000000 * SUM(s.fees) / NULLIF(SUM(s.revenue), 0) + 0.0000001, 2) AS fee_percent,
    ROUND(1.000000 * SUM(s.revenue) / NULLIF(COUNT(*), 0) + 0.0000001, 2) AS average_order_value,
    SUM(CASE WHEN o.payout_received THEN 0 ELSE 1 END) AS payouts_outstanding,
    MAX(s.sold_on) AS last_sold_on
FROM sales s
JOIN orders o ON o.id = s.order_id
GROUP BY s.platform, s.currency;
