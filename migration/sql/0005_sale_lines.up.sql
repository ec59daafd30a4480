-- The lines of sales, with what the line's item is and what it cost.
CREATE VIEW sale_lines AS
SELECT
    l.id AS line_id,
    l.order_id AS order_id,
    s.sold_on AS sold_on,
    s.sold_month AS sold_month,
    s.currency AS currency,
    l.inventory_item_id AS inventory_item_id,
    i.product_id AS product_id,
    p.brand_id AS brand_id,
    p.category_id AS category_id,
    i.supplier_id AS supplier_id,
    l.quantity AS quantity,
    l.line_total AS revenue,
    l.line_total - l.quantity * i.purchase_price AS profit
FROM order_items l
JOIN sales s ON s.order_id = l.order_id
JOIN inventory_items i ON i.id = l.inventory_item_id
LEFT JOIN products p ON p.id = i.product_id;
