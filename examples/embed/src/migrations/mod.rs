//! One file a migration; each shows one thing that a migration may do.

pub(crate) mod m20250201_000001_plans_and_subscriptions;
pub(crate) mod m20250208_000002_seed_plans;
pub(crate) mod m20250215_000003_lower_case_emails;
pub(crate) mod m20250222_000004_index_renewals;
