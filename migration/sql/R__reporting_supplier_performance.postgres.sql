-- Each supplier with what became of its goods; one that sold nothing yet has one row, of no currency.
-- fleet: view=reporting_supplier_performance group=weekly
DROP MATERIALIZED VIEW IF EXISTS reporting_supplier_performance;
CREATE MATERIALIZED VIEW reporting_supplier_performance AS
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
-- So that it can be refreshed while it is read.
CREATE UNIQUE INDEX uq_reporting_supplier_performance ON reporting_supplier_performance (supplier_id, currency);
