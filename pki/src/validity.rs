//! How long certificates are valid, with kubeadm's constants.

use std::time::Duration;

use der::asn1::{GeneralizedTime, UtcTime};
use jiff::Timestamp;
use x509_cert::time::{Time, Validity};

use crate::PkiError;

/// How long a certificate is valid unless `certificateValidityPeriod` says otherwise: 8760 hours.
///
/// Source: kubeadm `constants.CertificateValidityPeriod`.
pub const CERTIFICATE_VALIDITY: Duration = Duration::from_secs(8760 * 60 * 60);

/// How long an authority is valid unless `caCertificateValidityPeriod` says otherwise: 87600 hours.
///
/// Source: kubeadm `constants.CACertificateValidityPeriod`.
pub const AUTHORITY_VALIDITY: Duration = Duration::from_secs(87_600 * 60 * 60);

/// How far certificates start in the past, so that hosts with slow clocks accept them: 5 minutes.
///
/// Source: kubeadm `constants.CertificateBackdate`.
pub const BACKDATE: Duration = Duration::from_secs(5 * 60);

/// The two moments between which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Lifetime {
    /// Returns a lifetime that starts [`BACKDATE`] before `now` and ends `validity` after `now`.
    pub(crate) fn backdated(now: Timestamp, validity: Duration) -> Result<Self, PkiError> {
        let out_of_range = || time_out_of_range(now, validity);
        Ok(Self {
            not_before: now.checked_sub(BACKDATE).map_err(|_| out_of_range())?,
            not_after: now.checked_add(validity).map_err(|_| out_of_range())?,
        })
    }

    /// Returns this lifetime with another start.
    pub(crate) fn starting_at(self, not_before: Timestamp) -> Self {
        Self { not_before, ..self }
    }

    /// Returns the lifetime as it stands in a certificate, cut to whole seconds.
    pub(crate) fn to_validity(self) -> Result<Validity, PkiError> {
        Ok(Validity::new(
            to_time(self.not_before)?,
            to_time(self.not_after)?,
        ))
    }
}

/// RFC 5280 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on.
fn to_time(moment: Timestamp) -> Result<Time, PkiError> {
    let out_of_range = || time_out_of_range(moment, Duration::ZERO);
    let seconds = u64::try_from(moment.as_second()).map_err(|_| out_of_range())?;
    let since_epoch = Duration::from_secs(seconds);
    UtcTime::from_unix_duration(since_epoch)
        .map(Time::UtcTime)
        .or_else(|_| GeneralizedTime::from_unix_duration(since_epoch).map(Time::GeneralTime))
        .map_err(|_| out_of_range())
}

fn time_out_of_range(from: Timestamp, validity: Duration) -> PkiError {
    PkiError::TimeOutOfRange {
        from,
        hours: validity.as_secs() / 3600,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_from_2050_on_are_written_as_generalized_time() {
        let last_utc: Timestamp = "2049-12-31T23:59:59Z".parse().unwrap();
        let first_general: Timestamp = "2050-01-01T00:00:00Z".parse().unwrap();
        assert!(matches!(to_time(last_utc).unwrap(), Time::UtcTime(_)));
        assert!(matches!(
            to_time(first_general).unwrap(),
            Time::GeneralTime(_)
        ));
    }

    #[test]
    fn a_validity_beyond_the_year_9999_is_an_error() {
        let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let error = Lifetime::backdated(now, Duration::from_secs(u64::MAX / 2)).unwrap_err();
        assert!(matches!(error, PkiError::TimeOutOfRange { .. }));
    }
}
