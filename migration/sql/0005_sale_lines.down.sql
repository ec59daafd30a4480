DROP VIEW sale_lines;
