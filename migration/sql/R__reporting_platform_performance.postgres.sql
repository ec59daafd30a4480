-- Each platform: what it brings, what it keeps, what it has not paid out.
-- fleet: view=reporting_platform_performance group=hourly
DROP MATERIALIZED VIEW IF EXISTS reporting_platform_performance;
CREATE MATERIALIZED VIEW reporting_platform_performance AS
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
-- So that it can be refreshed while it is read.
CREATE UNIQUE INDEX uq_reporting_platform_performance ON reporting_platform_performance (platform, currency);
