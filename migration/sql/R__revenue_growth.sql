-- Each month against the last one before it that had sales.
DROP VIEW IF EXISTS revenue_growth;
CREATE VIEW revenue_growth AS
SELECT
    m.sold_month,
    m.currency,
    m.revenue,
    m.previous_revenue,
    ROUND(100.000000 * (m.revenue - m.previous_revenue) / NULLIF(m.previous_revenue, 0) + 0.0000001, 2) AS growth_percent
FROM (
    SELECT
        t.sold_month,
        t.currency,
        t.revenue,
        LAG(t.revenue) OVER (PARTITION BY t.currency ORDER BY t.sold_month) AS previous_revenue
    FROM (
        SELECT sold_month, currency, ROUND(SUM(revenue), 2) AS revenue FROM sales GROUP BY sold_month, currency
    ) t
) m;
