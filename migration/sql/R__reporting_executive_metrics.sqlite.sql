-- The day in one row, for the first page of the dashboard.
-- fleet: view=reporting_executive_metrics group=hourly
DROP TABLE IF EXISTS reporting_executive_metrics;
CREATE TABLE reporting_executive_metrics (
    sold_on date NOT NULL,
    currency char(3) NOT NULL,
    orders bigint,
    customers bigint,
    units bigint,
    revenue decimal(18, 2),
    fees decimal(18, 2),
    profit decimal(18, 2),
    margin_percent decimal(14, 2),
    average_order_value decimal(18, 2),
    PRIMARY KEY (sold_on, currency)
);
-- fleet: refresh
DELETE FROM reporting_executive_metrics;
INSERT INTO reporting_executive_metrics (
    sold_on, currency, orders, customers, units, revenue, fees, profit, margin_percent, average_order_value
)
SELECT
    s.sold_on,
    s.currency,
    COUNT(*) AS orders,
    COUNT(DISTINCT s.customer_id) AS customers,
    COALESCE(MAX(l.units), 0) AS units,
    ROUND(SUM(s.revenue), 2) AS revenue,
    ROUND(SUM(s.fees), 2) AS fees,
    ROUND(SUM(s.profit), 2) AS profit,
    ROUND(100.000000 * SUM(s.profit) / NULLIF(SUM(CASE WHEN s.profit IS NOT NULL THEN s.revenue END), 0) + 0.0000001, 2) AS margin_percent,
    ROUND(1.000000 * SUM(s.revenue) / NULLIF(COUNT(*), 0) + 0.0000001, 2) AS average_order_value
FROM sales s
LEFT JOIN (
    SELECT sold_on, currency, SUM(quantity) AS units FROM sale_lines GROUP BY sold_on, currency
) l ON l.sold_on = s.sold_on AND l.currency = s.currency
GROUP BY s.sold_on, s.currency;
