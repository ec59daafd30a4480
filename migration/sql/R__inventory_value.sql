-- What lies in stock, by status and condition; an item without a purchase price counts with its selling price.
DROP VIEW IF EXISTS inventory_value;
CREATE VIEW inventory_value AS
SELECT
    status,
    item_condition,
    COUNT(*) AS items,
    SUM(quantity) AS units,
    ROUND(SUM(quantity * COALESCE(purchase_price, unit_price)), 2) AS stock_value
FROM inventory_items
GROUP BY status, item_condition;
