DROP VIEW IF EXISTS payout_outstanding;
