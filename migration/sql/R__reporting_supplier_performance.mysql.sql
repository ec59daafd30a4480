-- Each supplier with what became of its goods; one that sold nothing yet has one row, of no currency.
-- fleet: view=reporting_supplier_performance group=weekly
DROP TABLE IF EXISTS reporting_supplier_performance;
CREATE TABLE reporting_supplier_performance (
    supplier_id binary(16) NOT NULL,
    currency char(3) NOT NULL,
    supplier varchar(200),
    status varchar(20),
    items bigint,
    in_stock bigint,
    units_sold bigint,
    revenue decimal(18, 2),
    profit decimal(18, 2),
    margin_percent decimal(14, 2),
    PRIMARY KEY (supplier_id, currency)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
-- fleet: refresh
DELETE FROM reporting_supplier_performance;
INSERT INTO reporting_supplier_performance (
    supplier_id, currency, supplier, status, items, in_stock, units_sold, revenue, profit, margin_percent
)
SELECT
    s.id AS supplier_id,
    COALESCE(t.currency, '-') AS currency,
    s.name AS supplier,
    s.status AS status,
    COALESCE(i.items, 0) AS items,
    COALESCE(i.in_stock, 0) AS in_stock,
    COALESCE(t.units_sold, 0) AS units_sold,
    COALESCE(t.revenue, 0) AS revenue,
    t.profit,
    ROUND(100.000000 * t.profit / NULLIF(t.known_revenue, 0) + 0.0000001, 2) AS margin_percent
FROM suppliers s
LEFT JOIN (
    SELECT supplier_id, COUNT(*) AS items, SUM(quantity) AS in_stock FROM inventory_items GROUP BY supplier_id
) i ON i.supplier_id = s.id
LEFT JOIN (
    SELECT
        supplier_id,
        currency,
        SUM(quantity) AS units_sold,
        ROUND(SUM(revenue), 2) AS revenue,
        ROUND(SUM(profit), 2) AS profit,
        ROUND(SUM(CASE WHEN profit IS NOT NULL THEN revenue END), 2) AS known_revenue
    FROM sale_lines
    GROUP BY supplier_id, currency
) t ON t.supplier_id = s.id;
