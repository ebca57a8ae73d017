//! Reference values by what they are compared with, for people and for comparisons of policies.

use serde::Serialize;

use crate::rules::{KeySecurity, ReferenceValues, SnpTcb};

/// One thing in evidence, and what is accepted of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What is compared.
    pub what: String,
    /// The values, any of which is accepted.
    pub accepted: Vec<String>,
    /// How it is compared: `one-of`, `at-least`, or `also`, which is accepted with a warning.
    #[serde(rename = "rule")]
    pub(crate) reading: Reading,
}

/// What values are to an appraisal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// One of them must be found. Nothing matches while there is none.
    Needed,
    /// One of them must be found, if the register is named at all.
    Register {
        /// Whether nothing matches while no register is named.
        needed: bool,
    },
    /// What is found must not be less. In a number, what is asked for.
    AtLeast(f64),
    /// Accepted beside what is best, with a warning.
    Tolerated,
}

impl Serialize for Reading {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Needed | Self::Register { .. } => "one-of",
            Self::AtLeast(_) => "at-least",
            Self::Tolerated => "also",
        })
    }
}

/// All that evidence of a kind is compared with.
pub(crate) fn compared(values: &ReferenceValues) -> Vec<Compared> {
    match values {
        ReferenceValues::Software(values) => vec![needed("the version that the program says it is", &values.versions)],
        ReferenceValues::Tpm(values) => {
            let mut all = vec![needed("the program's digest, in the kernel's log", &values.programs)];
            all.extend(registers("register", &values.pcrs, false));
            all
        }
        ReferenceValues::SevSnp(values) => {
            let mut all = vec![needed("the launch measurement", values.measurements.iter().map(hex))];
            all.extend(tcb(values.tcb_min));
            all
        }
        ReferenceValues::Tdx(values) => {
            let mut all = vec![needed("the launch measurement (MRTD)", values.mrtds.iter().map(hex))];
            let values_of = values.rtmrs.iter().map(|(number, of)| (number, of.iter().map(hex).collect::<Vec<_>>()));
            all.extend(registers("run-time register", values_of, false));
            all.push(tolerated("a platform whose state is", &values.tcb_statuses));
            all
        }
        ReferenceValues::Sgx(values) => vec![
            needed("the enclave's measurement (MRENCLAVE)", values.mrenclaves.iter().map(hex)),
            tolerated("a platform whose state is", &values.tcb_statuses),
        ],
        ReferenceValues::Nitro(values) if values.pcrs.is_empty() => {
            vec![needed("the registers", std::iter::empty::<String>())]
        }
        ReferenceValues::Nitro(values) => {
            let values_of = values.pcrs.iter().map(|(number, of)| (number, of.iter().map(hex).collect::<Vec<_>>()));
            registers("register", values_of, true).collect()
        }
        ReferenceValues::Android(values) => vec![
            needed("the app's package", &values.packages),
            needed("the certificate that signs the app (SHA-256)", &values.signers),
            at_least("where keys are kept", kept(values.security_min).0, kept(values.security_min).1),
            at_least(
                "the system's patch level",
                format!("{}-{:02}", values.patch_level_min / 100, values.patch_level_min % 100),
                f64::from(values.patch_level_min),
            ),
        ],
        ReferenceValues::AppAttest(values) => vec![
            needed("the app", &values.app_ids),
            tolerated("an app", values.development.then_some("that is under development")),
        ],
        ReferenceValues::WebAuthn(values) => {
            let mut all = vec![needed("the domain", [&values.relying_party]), needed("the page", &values.origins)];
            if !values.models.is_empty() || !values.unattested {
                all.push(needed("the authenticator's model (AAGUID)", &values.models));
            }
            all.push(tolerated("an authenticator", values.unattested.then_some("that attests nothing")));
            all
        }
    }
}

fn needed<T: ToString>(what: &str, values: impl IntoIterator<Item = T>) -> Compared {
    let accepted = values.into_iter().map(|value| value.to_string()).collect();
    Compared { what: what.to_owned(), accepted, reading: Reading::Needed }
}

fn tolerated<T: ToString>(what: &str, values: impl IntoIterator<Item = T>) -> Compared {
    Compared { reading: Reading::Tolerated, ..needed(what, values) }
}

fn at_least(what: &str, least: impl ToString, weight: f64) -> Compared {
    Compared { what: what.to_owned(), accepted: vec![least.to_string()], reading: Reading::AtLeast(weight) }
}

fn registers<'r, V: IntoIterator<Item = T>, T: ToString>(
    what: &str,
    registers: impl IntoIterator<Item = (&'r u8, V)>,
    necessary: bool,
) -> impl Iterator<Item = Compared> {
    registers.into_iter().map(move |(number, values)| Compared {
        reading: Reading::Register { needed: necessary },
        ..needed(&format!("{what} {number}"), values)
    })
}

fn tcb(least: SnpTcb) -> [Compared; 4] {
    let SnpTcb { bootloader, tee, snp, microcode } = least;
    [("boot loader", bootloader), ("secure processor", tee), ("SNP firmware", snp), ("microcode", microcode)]
        .map(|(of, version)| at_least(&format!("the security version of the {of}"), version, f64::from(version)))
}

const fn kept(security: KeySecurity) -> (&'static str, f64) {
    match security {
        KeySecurity::Software => ("in the operating system", 0.0),
        KeySecurity::TrustedEnvironment => ("in a trusted execution environment", 1.0),
        KeySecurity::StrongBox => ("in a chip of its own", 2.0),
    }
}

fn hex(measurement: &crate::Measurement) -> String {
    measurement.0.iter().map(|byte| format!("{byte:02x}")).collect()
}
