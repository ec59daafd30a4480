-- Each brand month by month, with its share of what was sold.
-- fleet: view=reporting_brand_analytics group=daily
DROP TABLE IF EXISTS reporting_brand_analytics;
CREATE TABLE reporting_brand_analytics (
    sold_month date NOT NULL,
    brand_id binary(16) NOT NULL,
    currency char(3) NOT NULL,
    brand varchar(100),
    segment varchar(40),
    orders bigint,
    units bigint,
    revenue decimal(18, 2),
    profit decimal(18, 2),
    percent_of_month decimal(14, 2),
    PRIMARY KEY (sold_month, brand_id, currency)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- fleet: refresh
DELETE FROM reporting_brand_analytics;
INSERT INTO reporting_brand_analytics (
    sold_month, brand_id, currency, brand, segment, orders, units, revenue, profit, percent_of_month
)
SELECT
    t.sold_month,
    t.brand_id,
    t.currency,
    b.name AS brand,
    b.segment AS segment,
    t.orders,
    t.units,
    t.revenue,
    t.profit,
    ROUND(100.000000 * t.revenue / NULLIF(a.revenue, 0) + 0.0000001, 2) AS percent_of_month
FROM (
    SELECT
        sold_month,
        brand_id,
        currency,
        COUNT(DISTINCT order_id) AS orders,
        SUM(quantity) AS units,
        ROUND(SUM(revenue), 2) AS revenue,
        ROUND(SUM(profit), 2) AS profit
    FROM sale_lines
    GROUP BY sold_month, brand_id, currency
) t
JOIN brands b ON b.id = t.brand_id
JOIN (
    SELECT sold_month, currency, ROUND(SUM(revenue), 2) AS revenue FROM sale_lines GROUP BY sold_month, currency
) a ON a.sold_month = t.sold_month AND a.currency = t.currency;
