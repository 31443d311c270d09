//! How urgently a certificate wants renewal.

use slipway_api::CertificateSummary;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Fewer days left than these are told, the fewest first.
const WARNINGS: [i64; 3] = [7, 30, 90];

/// How urgently a certificate wants renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateExpiry {
    /// It has expired.
    Past,
    /// It expires within so many days: 7, 30 or 90.
    Within(i64),
    /// It lives longer.
    Later,
}

impl CertificateExpiry {
    /// Judges a certificate at `now`, in seconds since 1970.
    ///
    /// The kubelet renews its own client certificate when a tenth to a third of its life is left:
    /// a month before its end nothing is wrong yet, a week before it something is.
    pub fn of(certificate: &CertificateSummary, now: i64) -> Self {
        let left = certificate.not_after.as_second() - now;
        if left <= 0 {
            return Self::Past;
        }
        let warnings = match certificate.name.as_str() {
            CertificateSummary::KUBELET_CLIENT => &WARNINGS[..1],
            _ => &WARNINGS[..],
        };
        let within = warnings.iter().find(|days| left < **days * DAY);
        within.map_or(Self::Later, |days| Self::Within(*days))
    }

    /// Returns how many whole days are left of a certificate at `now`, less than none once it has
    /// expired.
    pub fn days_left(certificate: &CertificateSummary, now: i64) -> i64 {
        (certificate.not_after.as_second() - now).div_euclid(DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str, days: i64) -> CertificateExpiry {
        let certificate = CertificateSummary {
            name: name.to_owned(),
            authority: None,
            not_after: jiff::Timestamp::from_second(days * DAY + 1).unwrap(),
            serial_number: String::new(),
        };
        assert_eq!(CertificateExpiry::days_left(&certificate, 0), days);
        CertificateExpiry::of(&certificate, 0)
    }

    #[test]
    fn the_nearest_warning_is_told() {
        let told: Vec<_> = [-1, 3, 29, 89, 90]
            .map(|days| judged("apiserver", days))
            .into();
        let within = CertificateExpiry::Within;
        let expected = [
            CertificateExpiry::Past,
            within(7),
            within(30),
            within(90),
            CertificateExpiry::Later,
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_the_kubelet_renews_itself_is_told_when_it_has_not() {
        assert_eq!(judged("kubelet.conf", 29), CertificateExpiry::Later);
        assert_eq!(judged("kubelet.conf", 6), CertificateExpiry::Within(7));
    }
}
